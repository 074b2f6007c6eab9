#!/bin/bash
#SBATCH -J a hello
srun ./program
