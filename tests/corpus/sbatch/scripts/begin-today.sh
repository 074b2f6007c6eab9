#!/bin/bash
#SBATCH -b today
srun ./program
