#!/bin/bash
#SBATCH -d AfterOk:1
srun ./program
